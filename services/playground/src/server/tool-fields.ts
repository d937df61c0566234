import type { Body } from './fields.ts';
import { ProtocolError, invalidField } from './protocol-error.ts';

/** Chat had `functions` and `function_call` before it had `tools` and `tool_choice`. */
const TOOL_LISTS = ['tools', 'functions'];
const TOOL_CHOICES = ['tool_choice', 'function_call'];

function noTools(param: string): ProtocolError {
  return new ProtocolError(400, `The embedded models know one task and call no tools: leave out '${param}'.`, {
    code: 'unsupported_parameter',
    param,
  });
}

/** Refuses tools: a caller who waits for a call should hear that none will come, not wonder at an answer in text. */
export function refuseTools(body: Body): void {
  for (const name of TOOL_LISTS) {
    const tools = body[name] ?? [];
    if (!Array.isArray(tools)) throw invalidField(name, 'a list');
    if (tools.length > 0) throw noTools(name);
  }
  for (const name of TOOL_CHOICES) {
    const choice = body[name] ?? 'none';
    if (choice !== 'none' && choice !== 'auto') throw noTools(name);
  }
}
