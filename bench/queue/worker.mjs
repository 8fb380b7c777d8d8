// BullMQ works off no-ops: node worker.mjs PORT
import { Worker } from "bullmq";

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), maxRetriesPerRequest: null };
new Worker("noop", async (job) => job.data, { connection, concurrency: 64 });
