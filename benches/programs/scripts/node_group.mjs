// Values by user and kind, streamed line by line.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

const users = new Map();
for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  const event = JSON.parse(line);
  let user = users.get(event.user);
  if (!user) users.set(event.user, (user = { total: 0, kinds: {}, titles: [] }));
  user.total += event.value;
  user.kinds[event.kind] = (user.kinds[event.kind] ?? 0) + 1;
  if (event.kind === "order") user.titles.push(event.title);
}
const best = [...users].sort((a, b) => b[1].total - a[1].total).slice(0, 20);
console.log(JSON.stringify(best).length, users.size);
