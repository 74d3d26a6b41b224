/** Starts the page. */

import { render } from "preact";
import { useEffect } from "preact/hooks";
import { ComparePage } from "./pages/compare/page";
import { CreatePage } from "./pages/create";
import { GroupPage, GroupsPage } from "./pages/groups";
import { OraclePage } from "./pages/oracle";
import { OraclesPage } from "./pages/oracles";
import { StudiesPage } from "./pages/studies";
import { StudyPage } from "./pages/study/page";
import { Frame } from "./parts/frame";
import { begin } from "./state/live";
import { type Route, route } from "./state/route";
import { useSignal } from "./state/signal";
import "./style/base.css";
import "./style/parts.css";
import "./style/pages.css";

function App() {
  const here = useSignal(route);
  const place = here.path.join("/");
  useEffect(() => {
    scrollTo(0, 0);
    document.title = `${here.path.at(-1) ?? "studies"} · blackbox_am`;
  }, [place]);
  return <Frame>{page(here)}</Frame>;
}

function page({ path }: Route) {
  const [kind = "", name = ""] = path;
  switch (kind) {
    case "":
      return <StudiesPage />;
    case "study":
      return <StudyPage key={name} id={name} />;
    case "compare":
      return <ComparePage />;
    case "new":
      return <CreatePage />;
    case "oracles":
      return <OraclesPage />;
    case "oracle":
      return <OraclePage key={name} name={name} />;
    case "groups":
      return <GroupsPage />;
    case "group":
      return <GroupPage key={name} id={name} />;
    default:
      return <p class="nothing">There is no such page.</p>;
  }
}

begin();
render(<App />, document.getElementById("page") as HTMLElement);
