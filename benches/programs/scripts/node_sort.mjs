// Sorts a log by message, then time, all of it in memory.
import { readFileSync, writeFileSync } from "node:fs";

const lines = readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean);
const records = lines.map((line) => {
  const [at, host, unit, ...message] = line.split(" ");
  return { at, host, unit, message: message.join(" ") };
});
records.sort((a, b) => (a.message < b.message ? -1 : a.message > b.message ? 1 : a.at < b.at ? -1 : 1));
writeFileSync(process.argv[3], records.map((r) => `${r.message}\t${r.at}\t${r.unit}`).join("\n"));
