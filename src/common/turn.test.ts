// Pieces of work in the turns of the event loop.

import assert from "node:assert/strict";
import { test } from "node:test";
import { backgroundTurn, nextTurn } from "./turn.ts";

test("of several works in the background one goes on in each turn, and each in its order", async () => {
  let turn = 0;
  let isOver = false;
  const count = (): void => {
    turn++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const steps: (readonly [work: number, turn: number])[] = [];
  const work = async (number: number): Promise<void> => {
    for (let step = 0; step < 5; step++) {
      await backgroundTurn();
      steps.push([number, turn]);
    }
  };
  await Promise.all([work(1), work(2), work(3)]);
  isOver = true;
  assert.deepEqual(
    steps.map(([number]) => number),
    Array.from({ length: 15 }, (_, i) => 1 + (i % 3)),
  );
  assert.equal(new Set(steps.map(([, at]) => at)).size, 15, "no two in one turn");
});

test("works that somebody waits for all go on in the next turn", async () => {
  const order: string[] = [];
  const waiting = [1, 2, 3].map((number) => nextTurn().then(() => order.push(String(number))));
  const turns = nextTurn().then(async () => {
    await nextTurn();
    order.push("second turn");
  });
  await Promise.all([...waiting, turns]);
  assert.deepEqual(order, ["1", "2", "3", "second turn"]);
});
