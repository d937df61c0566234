import { Argument, type Command } from 'commander';
import type { Context } from '../context.ts';

const SHELLS = ['bash', 'zsh'] as const;

export function addCompletion(program: Command, { terminal }: Context): void {
  program
    .command('completion')
    .description('a script that completes commands and options: eval "$(spillway completion bash)"')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action((shell: (typeof SHELLS)[number]) => terminal.out(completionOf(program, shell)));
}

/** The script, made of the commands and options that there are; zsh reads that of bash. */
function completionOf(program: Command, shell: (typeof SHELLS)[number]): string {
  const names = program.commands.map((command) => command.name());
  const cases = program.commands.map((command) => {
    const options = command.createHelp().visibleOptions(command);
    const words = options.flatMap(({ short, long }) => [short, long]).filter((word) => word !== undefined);
    return `    ${command.name()}) words="${words.join(' ')}" ;;`;
  });
  return [
    ...(shell === 'zsh' ? ['autoload -Uz bashcompinit && bashcompinit'] : []),
    '_spillway() {',
    '  local word="${COMP_WORDS[COMP_CWORD]}" words=""',
    '  case "${COMP_WORDS[1]}" in',
    ...cases,
    '  esac',
    `  if [ "$COMP_CWORD" -eq 1 ]; then words="${names.join(' ')}"; fi`,
    '  COMPREPLY=()',
    '  if [ "$COMP_CWORD" -eq 1 ] || [ "${word#-}" != "$word" ]; then COMPREPLY=($(compgen -W "$words" -- "$word")); fi',
    '}',
    'complete -o default -F _spillway spillway',
  ].join('\n');
}
