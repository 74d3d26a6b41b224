/** Specifications of studies, in a plain form. */

import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";

import { InvalidSpec } from "./errors.js";
import {
  type Budget,
  BudgetSchema,
  ObjectiveSchema,
  SpaceKind,
  SpaceSchema,
  type StudySpec as Message,
  StudySpecSchema,
} from "./gen/blackbox_am/v1/study_pb.js";

/** A latent space whose points clients evaluate. */
export interface Space {
  readonly kind: "normal" | "sphere" | "box" | "categorical";
  readonly dimension: number;
  /** Of a sphere; the square root of the dimension without it. */
  readonly radius?: number;
  /** Of a box: one bound, or one for each coordinate. */
  readonly low?: readonly number[];
  readonly high?: readonly number[];
  /** Of a categorical space. */
  readonly categories?: number;
}

/**
 * What a target maximises: the address of a unit, several addresses (their mean), or an objective of
 * the wire, such as `{ expression: "head:3 - 0.5*head:5" }`.
 */
export type Target = string | readonly string[] | MessageInitShape<typeof ObjectiveSchema>;

/** What a study searches for. `messages.StudySpec` has every field of the wire. */
export interface StudySpec {
  /** Each is a search; all advance together. */
  readonly targets: readonly Target[];
  /** A registered generator, or `space`. */
  readonly generator?: string;
  readonly space?: Space;
  /** A registered oracle; without one clients measure. */
  readonly oracle?: string;
  /** A registered optimizer; `auto` without one. */
  readonly optimizer?: string;
  readonly parameters?: JsonObject;
  /** Largest number of rows measured for each target; 1000. */
  readonly queriesPerTarget?: number;
  readonly seconds?: number;
  /** A target is finished when its best score reaches this score. */
  readonly targetScore?: number;
  /** A target is finished after this number of generations without a better score. */
  readonly patience?: number;
  /** Determines every random number; the server draws one without it. */
  readonly seed?: number | bigint;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Limits that `extend` raises; the others stay as they are. */
export type Limits = Pick<StudySpec, "queriesPerTarget" | "seconds" | "targetScore" | "patience">;

const LARGEST_NUMBER = 2 ** 31 - 1;

/** A specification as a message, to which fields can be added before `createStudy` gets it. */
export function studySpec(spec: StudySpec): Message {
  if ((spec.generator === undefined) === (spec.space === undefined)) {
    throw new InvalidSpec("spec: expected either a generator or a space, got both or none", {
      field: "spec",
    });
  }
  const named = spec.optimizer !== undefined || spec.parameters !== undefined;
  return create(StudySpecSchema, {
    source:
      spec.space === undefined
        ? { case: "generator", value: { name: spec.generator! } }
        : { case: "space", value: spaceOf(spec.space) },
    oracle: spec.oracle ?? "",
    targets: spec.targets.map(objectiveOf),
    budget: budgetOf({ ...spec, queriesPerTarget: spec.queriesPerTarget ?? 1000 }),
    labels: { ...spec.labels },
    ...(named && {
      optimizer: { name: spec.optimizer ?? "auto", parameters: spec.parameters ?? {} },
    }),
    ...(spec.seed !== undefined && { seed: seedOf(spec.seed) }),
  });
}

/** Limits as a message. */
export function budgetOf(limits: Limits): Budget {
  for (const field of ["queriesPerTarget", "patience"] as const) {
    const limit = limits[field];
    if (
      limit !== undefined &&
      !(Number.isInteger(limit) && limit >= 1 && limit <= LARGEST_NUMBER)
    ) {
      throw new InvalidSpec(`${field}: expected a whole number, 1 or more, got ${limit}`, {
        field: `budget.${field === "patience" ? field : "queries_per_target"}`,
      });
    }
  }
  return create(BudgetSchema, {
    queriesPerTarget: limits.queriesPerTarget ?? 0,
    ...(limits.seconds !== undefined && { seconds: limits.seconds }),
    ...(limits.targetScore !== undefined && { targetScore: limits.targetScore }),
    ...(limits.patience !== undefined && { patience: limits.patience }),
  });
}

function seedOf(seed: number | bigint): bigint {
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    throw new InvalidSpec(`seed: expected a whole number, or a bigint, got ${seed}`, {
      field: "spec.seed",
    });
  }
  if (BigInt.asIntN(64, BigInt(seed)) !== BigInt(seed)) {
    throw new InvalidSpec(`seed: expected a number of 64 bits, got ${seed}`, {
      field: "spec.seed",
    });
  }
  return BigInt(seed);
}

function objectiveOf(target: Target): MessageInitShape<typeof ObjectiveSchema> {
  if (typeof target === "string") return { quantities: [target] };
  if (Array.isArray(target)) return { quantities: [...(target as readonly string[])] };
  return target as MessageInitShape<typeof ObjectiveSchema>;
}

function spaceOf(space: Space): MessageInitShape<typeof SpaceSchema> {
  const kind = SpaceKind[space.kind?.toUpperCase() as keyof typeof SpaceKind];
  if (!kind) {
    throw new InvalidSpec(
      `space: expected the kind normal, sphere, box or categorical, got ${space.kind}`,
      { field: "spec.space.kind" },
    );
  }
  return {
    kind,
    dimension: space.dimension,
    low: [...(space.low ?? [])],
    high: [...(space.high ?? [])],
    categories: space.categories ?? 0,
    ...(space.radius !== undefined && { radius: space.radius }),
  };
}
