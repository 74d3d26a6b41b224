"""Attack a classifier behind an HTTP API: which small changes of pictures make it answer wrongly?

The API gets a PNG file in base64 as {"image": ...}, and answers with its best classes:
{"classes": [{"name": "cat", "score": 0.93}, ...]}. The keys, headers and secrets of another API
are parameters of the same oracle. Every request is counted, every success is asked for a second
time before it counts, and a second run goes on where the first was stopped.

    python examples/04_attack_an_api.py --url http://localhost:8080/classify --out report
"""

import argparse
from pathlib import Path

import blackbox_am
from blackbox_am.attacks.report import write_report
from blackbox_am.oracles.http import Http
from blackbox_am.zoo.loading import probe_images

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:8080/classify")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--queries", type=int, default=500, help="for each image, at most")
    parser.add_argument("--out", default="report")
    arguments = parser.parse_args()

    api = Http(
        url=arguments.url,
        stimulus_shape=(3, 32, 32),
        labels=tuple(CLASSES),
        scores="classes[].[name, score]",
        answer="top",
        missing=0.0,  # the score of classes that the API leaves out
        model="v1",  # another name if the model behind the address changes
    )
    pictures = probe_images()[0].transpose(0, 3, 1, 2)[: arguments.images]
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    result = blackbox_am.attack(
        oracle=api,
        images=pictures,
        eps=8 / 255,
        budget=arguments.queries,
        store=folder / "journal.sqlite3",
    )
    fooled = sum(one.outcome.value == "success" for one in result.inputs)
    print(f"{result.attack}: {fooled} of {len(result.attacked)} pictures fool the model")
    print(f"{result.spent.rows:,} pictures were sent to it")
    print("wrote", write_report([result], folder))


if __name__ == "__main__":
    main()
