/** Values of the wire's enumerations as words. */

import { InvalidInput } from "./errors.js";
import { StopReason as WireStop, StudyState as WireState } from "./gen/blackbox_am/v1/study_pb.js";
import { Dtype as WireDtype } from "./gen/blackbox_am/v1/tensor_pb.js";

/** `unknown` is a state of a later server. */
export type StudyState =
  | "pending"
  | "running"
  | "paused"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "unspecified"
  | "unknown";

/** Why a study or a target stopped; `unspecified` while it goes on. */
export type StopReason =
  | "target"
  | "budget"
  | "time"
  | "patience"
  | "user"
  | "oracle"
  | "success"
  | "unspecified"
  | "unknown";

type Words = Record<number, string | undefined>;

const word = (names: Words, value: number): string => names[value]?.toLowerCase() ?? "unknown";

export const stateOf = (state: WireState): StudyState =>
  word(WireState as unknown as Words, state) as StudyState;

export const stopReasonOf = (reason: WireStop): StopReason =>
  word(WireStop as unknown as Words, reason) as StopReason;

/** The number of a state on the wire. */
export function stateNumber(state: StudyState): WireState {
  const number = WireState[state.toUpperCase() as keyof typeof WireState];
  if (number === undefined) {
    throw new InvalidInput(`expected a state such as running, got ${state}`, { field: "states" });
  }
  return number;
}

/** Whether the study goes on by itself, or by those who measure. */
export const isActive = (state: StudyState): boolean => state === "pending" || state === "running";

/** A dtype in which stimuli can be asked for. */
export type StimulusDtype = "uint8" | "float32";

/** The number of a dtype in which stimuli can be asked for; uint8 without one. */
export function stimulusDtype(dtype: StimulusDtype = "uint8"): WireDtype {
  if (dtype !== "uint8" && dtype !== "float32") {
    throw new InvalidInput(`dtype: expected uint8 or float32, got ${dtype}`, { field: "dtype" });
  }
  return dtype === "uint8" ? WireDtype.UINT8 : WireDtype.FLOAT32;
}

/** The id in a name such as `studies/my-neuron`. */
export const idOf = (name: string): string => name.slice(name.indexOf("/") + 1);
