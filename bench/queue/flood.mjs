// Submits no-ops to BullMQ for a while, and waits until all are done: node flood.mjs PORT SECONDS BULK
//
// With BULK above 1 so many go in one call. Prints what was seen as one line of JSON.
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Queue } from "bullmq";

const [port, seconds, bulk] = process.argv.slice(2).map(Number);
const queue = new Queue("noop", { connection: { host: "127.0.0.1", port } });
const PAYLOAD = { payload: { text: "hello" } };
// As many calls wait for their answers as our load generator has connections.
const CALLERS = bulk > 1 ? 4 : 32;

const submitted = Promise.all([...Array(CALLERS)].map(submit));
const begin = performance.now();
const end = begin + seconds * 1000;
const tasks = (await submitted).reduce((sum, mine) => sum + mine, 0);
const submit_s = (performance.now() - begin) / 1000;
while ((await queue.getCompletedCount()) < tasks) await sleep(5);
const whole_s = (performance.now() - begin) / 1000;
console.log(JSON.stringify({ tasks, submit_s, whole_s }));
await queue.close();

async function submit() {
  await queue.waitUntilReady();
  let mine = 0;
  while (performance.now() < end) {
    if (bulk > 1) await queue.addBulk(Array(bulk).fill({ name: "noop", data: PAYLOAD }));
    else await queue.add("noop", PAYLOAD);
    mine += bulk;
  }
  return mine;
}
