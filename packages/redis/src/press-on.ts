import type { RedisClient } from './client.ts';

/** A removal of nothing, in the slot of the script's keys. */
const PRESS_ON = "redis.call('DEL', KEYS[1] .. ':none')\n";

/**
 * Has the scripts that are defined on a connection press on where Redis is at its `maxmemory`: it refuses what a script
 * writes first, and a removal is never refused. Meant for what workers do by BullMQ: to take up a job, to keep its lock, to
 * put it back, to end it and to hand its document on is what leads to memory becoming free, and each begins with a write
 * that may need some.
 */
export function pressOn(connection: RedisClient): RedisClient {
  const define = connection.defineCommand.bind(connection);
  connection.defineCommand = (name, definition) => define(name, { ...definition, lua: `${PRESS_ON}${definition.lua}` });
  return connection;
}
