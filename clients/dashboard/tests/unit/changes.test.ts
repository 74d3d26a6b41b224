import { beforeEach, expect, test } from "vitest";
import { ApiError, keepToken, readToken } from "../../src/api/http";
import { asking, withToken } from "../../src/state/changes";

const kept = new Map<string, string>();
Object.assign(globalThis, {
  sessionStorage: {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  },
});

beforeEach(() => {
  kept.clear();
  asking.value = null;
});

test("a change that the token does not allow fails, and the token stays", async () => {
  keepToken("a-good-token");
  const denied = new ApiError(403, "FORBIDDEN", "your role only reads");
  await expect(withToken(() => Promise.reject(denied))).rejects.toBe(denied);
  expect(readToken()).toBe("a-good-token");
  expect(asking.value).toBeNull();
});

test("a token that is not accepted is asked for again", async () => {
  keepToken("an-old-token");
  const tries: string[] = [];
  const change = async () => {
    tries.push(readToken());
    if (readToken() !== "a-new-token") throw new ApiError(401, "UNAUTHENTICATED", "another token");
    return "done";
  };
  const changed = withToken(change);
  await expect.poll(() => asking.value?.reason).toBe("another token");
  keepToken("a-new-token");
  asking.value?.go();
  expect(await changed).toBe("done");
  expect(tries).toEqual(["an-old-token", "a-new-token"]);
});
