/**
 * Gives the strings of the process back the speed that the loading of ioredis takes from them.
 *
 * ioredis has a class that extends `String`. V8 (of Node 24) turns what becomes a prototype into a dictionary, as it may be
 * about to be filled, and back once a property is set on an object that inherits from it. On a string none is ever set: so
 * `String.prototype` stayed a dictionary, and each call of a string's method took two to five times as long.
 */
export function keepStringsFast(): void {
  const text = Object.create(String.prototype) as { isKept?: boolean };
  text.isKept = true;
}
