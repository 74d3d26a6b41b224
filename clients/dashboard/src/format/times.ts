/** Times and durations as text. */

import { DASH, score } from "./numbers";

/** Seconds as text: 0.42 s, 12 s, 3 min 05 s, 2 h 07 min, 3 d 4 h. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return DASH;
  if (seconds < 10 && !Number.isInteger(seconds)) return `${score(seconds, 2)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${pad(whole % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${pad(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

type Time = number | string | null | undefined;

function moment(time: Time): Date {
  return new Date(time ?? Number.NaN);
}

/** The time of day: 14:03:12. */
export function clock(time: Time): string {
  const at = moment(time);
  if (Number.isNaN(at.getTime())) return DASH;
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(pad).join(":");
}

/** A date and time that sorts as text: 2026-11-28 14:03. */
export function dateTime(time: Time): string {
  const at = moment(time);
  if (Number.isNaN(at.getTime())) return DASH;
  const date = [at.getFullYear(), at.getMonth() + 1, at.getDate()].map(pad).join("-");
  return `${date} ${pad(at.getHours())}:${pad(at.getMinutes())}`;
}

/** How long ago a time was, in one unit: now, 5 min, 3 h, 2 d. */
export function ago(time: Time, now: number): string {
  const seconds = (now - moment(time).getTime()) / 1000;
  if (!Number.isFinite(seconds)) return DASH;
  if (seconds < 60) return "now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
