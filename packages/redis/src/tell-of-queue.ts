import type { RedisClient } from './client.ts';

/** BullMQ's scripts by which a worker gets a job. Their names end with BullMQ's version. */
const TAKING = /^(?:moveToActive|moveToFinished):/;

/** A job as BullMQ's scripts give it, or null, its id, 1 if others wait, and when the next delayed one is due, Unix ms, or 0. */
export type TakenJob<Job> = readonly [job: Job | null, id: string, othersWait: 0 | 1, dueAtMs: number];

/**
 * Has the scripts that give a worker a job say with it what else the queue has (`TakenJob`), and leave no marker where no
 * other job waits. Workers wait for the marker, and BullMQ puts it there with each job that is taken up, for whoever has a
 * call to spare: of a queue that is empty then they look and wait in vain. What is added later brings its own.
 */
export function tellOfQueue(connection: RedisClient): RedisClient {
  const define = connection.defineCommand.bind(connection);
  connection.defineCommand = (name, { lua, ...definition }) =>
    define(name, { ...definition, lua: TAKING.test(name) ? telling(lua) : lua });
  return connection;
}

/** The keys of both scripts: 1 `wait`, 3 `prioritized`, 7 `delayed`, whose scores are 4,096 times a Unix ms; last the marker. */
const telling = (lua: string): string => `local function take(KEYS, ARGV)
${lua}
end
local taken = take(KEYS, ARGV)
local others_wait = redis.call('ZCARD', KEYS[3]) + redis.call('LLEN', KEYS[1]) > 0
if not others_wait then redis.call('ZREM', KEYS[#KEYS], '0') end
if type(taken) == 'table' and type(taken[1]) == 'table' then
  local due = redis.call('ZRANGE', KEYS[7], 0, 0, 'WITHSCORES')[2]
  taken[3], taken[4] = others_wait and 1 or 0, due and math.floor(due / 4096) or 0
end
return taken
`;
