import { expect, test } from "vitest";
import { cost, count, percent, plusMinus, plural, ratio, score, shape } from "../../src/format/numbers";
import { ago, clock, duration } from "../../src/format/times";
import { inside, look, reason, value } from "../../src/format/words";

test.each([
  [12.34567, "12.35"],
  [-0.98765, "\u22120.9877"],
  [0, "0"],
  [123456.7, "123,457"],
  [1234.5, "1,235"],
  [0.000123468, "0.0001235"],
  [0.00000123468, "1.235e\u22126"],
  [2.5e12, "2.500e12"],
  [null, "–"],
  [Number.NaN, "–"],
  [Number.POSITIVE_INFINITY, "–"],
])("score of %s", (given, text) => {
  expect(score(given)).toBe(text);
});

test("counts, shapes, ratios and percents", () => {
  expect(count(1234567)).toBe("1,234,567");
  expect(count(-12)).toBe("\u221212");
  expect(shape([3, 32, 32])).toBe("3 × 32 × 32");
  expect(ratio(1.3456)).toBe("1.35×");
  expect(percent(0.985)).toBe("98.5 %");
  expect(percent(1)).toBe("100 %");
  expect(plural(1, "target")).toBe("1 target");
  expect(plural(1200, "study", "studies")).toBe("1,200 studies");
});

test("a cost of nothing is a dash, small costs keep their digits", () => {
  expect(cost(0)).toBe("–");
  expect(cost(0.0034)).toBe("0.0034");
  expect(cost(1234.5)).toBe("1,234.50");
});

test("an error sets the digits of its mean", () => {
  expect(plusMinus(1.23456, 0.0412)).toBe("1.235 ± 0.041");
  expect(plusMinus(12.3, null)).toBe("12.30");
  expect(plusMinus(123.456, 12)).toBe("123 ± 12");
});

test.each([
  [0.4234, "0.42 s"],
  [2, "2 s"],
  [12.4, "12 s"],
  [59.7, "1 min 00 s"],
  [185, "3 min 05 s"],
  [7620, "2 h 07 min"],
  [273_600, "3 d 4 h"],
  [null, "–"],
])("duration of %s", (given, text) => {
  expect(duration(given)).toBe(text);
});

test("times of day and ages", () => {
  const at = new Date(2026, 10, 28, 14, 3, 9).getTime();
  expect(clock(at)).toBe("14:03:09");
  expect(clock("nothing")).toBe("–");
  expect(ago(at, at + 30_000)).toBe("now");
  expect(ago(at, at + 3 * 3_600_000)).toBe("3 h");
});

test("states, reasons and values in words", () => {
  expect(look("running").word).toBe("running");
  expect(look("dreaming").word).toBe("dreaming");
  expect(reason("budget")).toBe("budget spent");
  expect(reason("")).toBe("");
  expect(value([1, 2.5])).toBe("1, 2.500");
  expect(value({ a: true, b: null })).toBe("a yes, b –");
  expect(inside({ budget: { seconds: 3 } }, "budget")).toEqual({ seconds: 3 });
  expect(inside({ budget: 3 }, "budget", "seconds")).toEqual({});
});
