/** Verbs that create, read and steer studies. */

import type {
  BestOptions,
  CreateOptions,
  Limits,
  StudyProgress,
  StudySpec,
  StudyState,
} from "../src/index.js";
import type { Driver } from "./driver.js";
import { Arguments, double, given, type Json, nameJson, tensorJson } from "./values.js";

type Verb = (driver: Driver, a: Arguments) => Promise<Json>;

async function createStudy(driver: Driver, a: Arguments): Promise<Json> {
  const spec = specOf(new Arguments(a.need("spec")));
  const study = await driver.client.createStudy(
    spec,
    a.options<CreateOptions>({
      study_id: "studyId",
      request_id: "requestId",
      validate_only: "validateOnly",
      adopt: "adopt",
    }),
  );
  const seed = study.created?.seed?.toString() ?? null;
  return { study_id: study.id, seed, population: study.created?.population ?? null };
}

function specOf(a: Arguments): StudySpec {
  const seed = a.get<string>("seed");
  return {
    ...a.options<StudySpec>({
      targets: "targets",
      generator: "generator",
      space: "space",
      oracle: "oracle",
      optimizer: "optimizer",
      parameters: "parameters",
      queries_per_target: "queriesPerTarget",
      seconds: "seconds",
      target_score: "targetScore",
      patience: "patience",
      labels: "labels",
    }),
    ...(seed !== undefined && { seed: BigInt(seed) }),
  };
}

function studyJson(study: StudyProgress): Json {
  return {
    study: {
      study_id: study.studyId,
      state: nameJson(study.state),
      stop_reason: nameJson(study.stopReason),
      message: study.message,
      sequence: study.sequence,
      generation: study.generation,
      search_rows: study.accounting.searchRows,
      failed_rows: study.accounting.failedRows,
      queries_per_target: study.queriesPerTarget,
      targets: study.targets.map((target) => ({
        target: target.target,
        title: target.title,
        finished: target.finished,
        stop_reason: nameJson(target.stopReason),
        queries: target.queries,
        best_score: target.bestScore === undefined ? null : double(target.bestScore),
      })),
    },
  };
}

async function listStudies(driver: Driver, a: Arguments): Promise<Json> {
  const states = a.get<string[]>("states")?.map((name) => name.toLowerCase() as StudyState);
  const labels = a.get<Record<string, string>>("labels");
  const found = await driver.client.studies(given({ states, labels }));
  return {
    studies: found.map(({ studyId, state }) => ({ study_id: studyId, state: nameJson(state) })),
  };
}

async function best(driver: Driver, a: Arguments): Promise<Json> {
  const options = a.options<BestOptions>({
    stimuli: "stimuli",
    dtype: "dtype",
    targets: "targets",
  });
  const found = await driver.study(a).best(options);
  return {
    best: found.map(({ target, title, score, generation, row, latent, stimulus }) => ({
      target,
      title,
      score: double(score),
      generation,
      row,
      latent: tensorJson(latent),
      stimulus: stimulus ? tensorJson(stimulus) : null,
    })),
  };
}

async function generations(driver: Driver, a: Arguments): Promise<Json> {
  const found = await driver.study(a).generations(a.options<{ after: number }>({ after: "after" }));
  return {
    generations: found.map(({ generation, targets, scores }) => ({
      generation,
      targets,
      scores: tensorJson(scores),
    })),
  };
}

const limits = {
  queries_per_target: "queriesPerTarget",
  seconds: "seconds",
  target_score: "targetScore",
  patience: "patience",
} as const;

export const verbs: Record<string, Verb> = {
  create_study: createStudy,
  get_study: async (driver, a) => studyJson(await driver.study(a).progress()),
  list_studies: listStudies,
  pause: async (driver, a) => studyJson(await driver.study(a).pause()),
  resume: async (driver, a) =>
    studyJson(await driver.study(a).resume(a.options<CreateOptions>({ adopt: "adopt" }))),
  cancel: async (driver, a) => studyJson(await driver.study(a).cancel()),
  extend: async (driver, a) => studyJson(await driver.study(a).extend(a.options<Limits>(limits))),
  delete: async (driver, a) => {
    await driver.study(a).delete();
    return {};
  },
  generations,
  best,
  wait: async (driver, a) =>
    studyJson(await driver.study(a).wait(given({ timeoutMs: a.ms("timeout_s") }))),
};
