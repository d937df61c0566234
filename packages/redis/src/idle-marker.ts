import type { RedisClient } from './client.ts';

/**
 * BullMQ's scripts by which a worker gets a job, and how many keys each has: the last one is the queue's marker. Their names
 * end with BullMQ's version.
 */
const TAKING: Readonly<Record<string, number>> = { moveToActive: 11, moveToFinished: 14 };

/**
 * Has the scripts that give a worker a job leave no marker where no other job waits (keys: 1 `wait`, 3 `prioritized`).
 * Workers wait for the marker, and BullMQ puts it there with each job that is taken up, for whoever has a call to spare: of a
 * queue that is empty then one looks in vain, and waits anew. What is added later brings its own marker.
 */
export function leaveNoIdleMarker(connection: RedisClient): RedisClient {
  const define = connection.defineCommand.bind(connection);
  connection.defineCommand = (name, { lua, ...definition }) => {
    const keys = TAKING[name.replace(/:.*/, '')];
    define(name, { ...definition, lua: keys === undefined ? lua : withoutIdleMarker(lua, keys) });
  };
  return connection;
}

const withoutIdleMarker = (lua: string, marker: number): string => `local function take(KEYS, ARGV)
${lua}
end
local taken = take(KEYS, ARGV)
if redis.call('ZCARD', KEYS[3]) == 0 and redis.call('LLEN', KEYS[1]) == 0 then redis.call('ZREM', KEYS[${marker}], '0') end
return taken
`;
