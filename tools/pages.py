#!/usr/bin/env python3
"""Manual pages and completions, made from what the program says of itself.

    tools/pages.py PROGRAM OUT

OUT gets man/forewarn.1, man/forewarn-COMMAND.1, man/forewarn.conf.5 (from packaging/forewarn.conf), and forewarn.bash,
_forewarn (zsh) and forewarn.fish. Commands come from `PROGRAM --help`, options from `PROGRAM COMMAND --help`: an option begins
a line after two blanks, its meaning follows after two more. SOURCE_DATE_EPOCH dates the pages."""
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LICENCE = 'Apache License 2.0. Documentation beyond these pages: /usr/share/doc/forewarn.'


def say(program, *arguments):
    environment = {'PATH': os.environ.get('PATH', '/usr/bin:/bin'), 'LC_ALL': 'C.UTF-8'}
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True, env=environment).stdout


class Option:
    def __init__(self, flag, value, meaning):
        self.flag, self.value, self.meaning = flag, value, meaning


class Command:
    def __init__(self, program, name, summary):
        self.name, self.summary = name, summary
        self.help = say(program, name, '--help') if name != 'version' else 'usage: forewarn version\n'
        self.usage, self.body = self.split()
        self.options = self.find_options()
        self.words = sorted(set(re.findall(rf'forewarn {name} \[?([a-z]+)', self.usage)))

    def split(self):
        """The lines of usage, up to the first that is neither usage nor indented like it; the rest."""
        lines = self.help.splitlines()
        end = next((i for i, line in enumerate(lines)
                    if i > 0 and not line.startswith('       ')), len(lines))
        usage = [line.removeprefix('usage: ').removeprefix('       ') for line in lines[:end]]
        return '\n'.join(usage), lines[end:]

    def find_options(self):
        found = {}
        for line in self.help.splitlines():
            for match in re.finditer(r'(?<![\w-])--([a-z][a-z-]*)(?: ([A-Za-z0-9][\w|.:=,+-]*))?', line):
                flag, value = match.group(1), match.group(2) or ''
                if value and not (re.match(r'[A-Z]', value) or '|' in value):
                    value = ''
                rest = line[match.end():]
                meaning = re.sub(r'^(\S+)?  +', '', rest) if line.startswith('  --') and '--' not in rest else ''
                if flag not in found or (meaning and not found[flag].meaning) or (value and not found[flag].value):
                    kept = found.get(flag, Option(flag, '', ''))
                    found[flag] = Option(flag, kept.value or value, kept.meaning or meaning.strip())
        found.setdefault('help', Option('help', '', ''))
        return sorted(found.values(), key=lambda option: option.flag)


# ---- roff ----

def roff(text):
    text = text.replace('\\', '\\e').replace('-', '\\-').replace("'", '\\(aq').replace('`', '\\(ga')
    return '\\&' + text if text.startswith('.') else text


def header(title, section, summary):
    date = time.strftime('%Y-%m-%d', time.gmtime(int(os.environ.get('SOURCE_DATE_EPOCH', time.time()))))
    return [f'.TH {title.upper()} {section} {date} forewarn "forewarn"', '.SH NAME', f'{roff(title)} \\- {roff(summary)}']


def body_lines(lines):
    """Options become tagged paragraphs; prose stays prose; tables in words stay as they are."""
    out, literal = [], False

    def set_literal(wanted):
        nonlocal literal
        if wanted != literal:
            out.append('.nf' if wanted else '.fi')
            literal = wanted

    for line in lines:
        option = re.match(r'  (--\S+(?: \S+)?)(?:  +(.*))?$', line)
        if option and '  --' not in line[4:]:
            set_literal(False)
            if out and out[-1] == '.PP':
                out.pop()
            out += ['.TP', f'.B {roff(option.group(1))}']
            if option.group(2):
                out.append(roff(option.group(2)))
        elif re.match(r'   {5,}\S', line) and not literal and out and out[-1] != '.PP':
            out.append(roff(line.strip()))
        elif not line.strip():
            set_literal(False)
            if out and out[-1] != '.PP':
                out.append('.PP')
        else:
            columns = re.search(r'\S  +\S', line) is not None or line.startswith(' ')
            if not columns and out and out[-1] not in ('.PP', '.fi') and any(o == '.TP' for o in out[-3:]):
                out.append('.PP')
            if columns and not literal and out and out[-1] != '.PP':
                out.append('.PP')
            set_literal(columns)
            out.append(roff(line))
    set_literal(False)
    while out and out[-1] == '.PP':
        out.pop()
    return out


def command_page(command):
    page = header('forewarn-' + command.name, 1, command.summary)
    page += ['.SH SYNOPSIS', '.nf'] + [roff(line) for line in command.usage.splitlines()] + ['.fi']
    text = body_lines(command.body)
    if text:
        page += ['.SH DESCRIPTION'] + (text[1:] if text[0] == '.PP' else text)
    page += ['.SH SEE ALSO', '.BR forewarn (1),', '.BR forewarn.conf (5)', '.PP', roff(LICENCE)]
    return '\n'.join(page) + '\n'


def program_page(commands):
    page = header('forewarn', 1, 'forecasts and early warnings for a fleet of servers')
    page += ['.SH SYNOPSIS', '.B forewarn', '.I COMMAND', '.RI [ OPTIONS ]', '.SH DESCRIPTION',
             roff('One program takes in metrics of a fleet, keeps a window of each server durably, forecasts every metric 96'),
             roff('steps ahead as quantiles, scores risk, raises alerts, and serves a REST API and a dashboard.'), '.SH COMMANDS']
    for command in commands:
        page += ['.TP', f'.B {roff(command.name)}', roff(command.summary)]
    page += ['.SH EXIT STATUS', roff('0 fine, 1 failure, 2 usage; what checks something may say more, see its page.'),
             '.SH FILES', '.TP', '.I /etc/forewarn/forewarn.conf', 'settings of the service',
             '.TP', '.I /var/lib/forewarn', 'everything that the service keeps',
             '.SH ENVIRONMENT', roff('FOREWARN_API_KEY, FOREWARN_API_KEY_FILE, FOREWARN_LISTEN, FOREWARN_DATA, FOREWARN_STEP,'),
             roff('FOREWARN_MODEL, FOREWARN_FORECASTER, FOREWARN_CORS_ORIGINS and FOREWARN_LOG_LEVEL are settings of the daemon;'),
             'they win over its file, and options win over them.',
             '.SH SEE ALSO', ',\n'.join(f'.BR forewarn\\-{roff(c.name)} (1)' for c in commands) + ',', '.BR forewarn.conf (5)',
             '.PP', roff(LICENCE)]
    return '\n'.join(page) + '\n'


def configuration_page(path):
    page = header('forewarn.conf', 5, 'settings of the forewarn daemon')
    page += ['.SH DESCRIPTION', roff('Sections in brackets, lines "key = value"; a comment begins with # or ;. Sizes take KiB, MiB and GiB;'),
             'switches take on and off. Later sources win: defaults, the file, the environment, the command line. What follows is',
             'the file as it is shipped; values after "=" are the defaults, but for those of receivers, which are examples.']
    comment, count = [], 0
    for line in open(path, encoding='utf-8').read().split('\n\n', 1)[1].splitlines():
        section = re.match(r'#?\[(.*)\]$', line)
        if line.startswith('# '):
            comment.append(line[2:])
        elif section:
            page += [f'.SH "[{roff(section.group(1))}]"'] + [roff(text) for text in comment]
            comment, count = [], 0
        elif line:
            page += ['.TP' if comment or count == 0 else '.TQ', f'.B "{roff(line.removeprefix("#").strip())}"']
            page += [roff(text) for text in comment]
            comment, count = [], count + 1
    page += ['.SH SEE ALSO', '.BR forewarn (1),', '.BR forewarn\\-serve (1),', '.BR forewarn\\-check\\-config (1)', '.PP', roff(LICENCE)]
    return '\n'.join(page) + '\n'


# ---- completions ----

def choices(value):
    return value.split('|') if '|' in value and re.fullmatch(r'[a-z|]+', value) else []


def wants_file(value):
    return bool(re.match(r'(FILE|DIR|PATH|IN|OUT|NEWDIR|MODEL)', value))


def bash(commands):
    lines = ['# Completions of forewarn for bash; made by tools/pages.py.', '_forewarn() {',
             '    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=""', '    COMPREPLY=()',
             '    if [ "$COMP_CWORD" -eq 1 ]; then',
             f'        words="{" ".join(c.name for c in commands)} --help --version"', '    else',
             '        case "${COMP_WORDS[1]} $before" in']
    for command in commands:
        for option in command.options:
            if choices(option.value):
                lines.append(f'        "{command.name} --{option.flag}") words="{" ".join(choices(option.value))}" ;;')
            elif option.value:
                lines.append(f'        "{command.name} --{option.flag}") {"return 0" if not wants_file(option.value) else "compopt -o default; return 0"} ;;')
    lines += ['        *)', '            case ${COMP_WORDS[1]} in']
    for command in commands:
        lines.append(f'            {command.name}) words="{" ".join(command.words + ["--" + o.flag for o in command.options])}" ;;')
    lines += ['            esac', '            [[ $word == -* ]] || compopt -o default', '            ;;', '        esac', '    fi',
              '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")', '}', 'complete -F _forewarn forewarn']
    return '\n'.join(lines) + '\n'


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def zsh(commands):
    plain = lambda text: re.sub(r'[\[\]:\\]', ' ', text)
    lines = ['#compdef forewarn', '# Completions of forewarn for zsh; made by tools/pages.py.', '_forewarn() {', '    local -a commands options',
             '    if (( CURRENT == 2 )); then', '        commands=(']
    lines += [f'            {quoted(c.name + ":" + plain(c.summary))}' for c in commands]
    lines += ['        )', "        _describe command commands", '        return', '    fi', '    case ${words[2]} in']
    for command in commands:
        lines += [f'    {command.name})', '        options=(']
        for option in command.options:
            spec = f'--{option.flag}[{plain(option.meaning)}]'
            if choices(option.value):
                spec += f':value:({" ".join(choices(option.value))})'
            elif option.value:
                spec += f':{plain(option.value)}:' + ('_files' if wants_file(option.value) else '')
            lines.append(f'            {quoted(spec)}')
        if command.words:
            lines.append(f'            {quoted("1:what:(" + " ".join(command.words) + ")")}')
        lines += ["            '*:file:_files'", '        )', '        ;;']
    lines += ['    esac', '    shift words', '    (( CURRENT-- ))', '    _arguments "${options[@]}"', '}', '_forewarn "$@"']
    return '\n'.join(lines) + '\n'


def fish(commands):
    fish_quoted = lambda text: "'" + text.replace('\\', '\\\\').replace("'", "\\'") + "'"
    lines = ['# Completions of forewarn for fish; made by tools/pages.py.']
    for command in commands:
        lines.append(f'complete -c forewarn -f -n __fish_use_subcommand -a {command.name} -d {fish_quoted(command.summary)}')
        seen = f'-n {fish_quoted("__fish_seen_subcommand_from " + command.name)}'
        if command.words:
            lines.append(f'complete -c forewarn {seen} -a {fish_quoted(" ".join(command.words))}')
        for option in command.options:
            line = f'complete -c forewarn {seen} -l {option.flag}'
            if choices(option.value):
                line += f' -x -a {fish_quoted(" ".join(choices(option.value)))}'
            elif option.value:
                line += ' -r' if wants_file(option.value) else ' -x'
            lines.append(line + (f' -d {fish_quoted(option.meaning)}' if option.meaning else ''))
    return '\n'.join(lines) + '\n'


def main(program, out):
    program = os.path.abspath(program)
    commands = [Command(program, *match) for match in re.findall(r'^  ([a-z][a-z-]*)  +(.+)$', say(program, '--help'), re.M)]
    files = {'man/forewarn.1': program_page(commands), 'forewarn.bash': bash(commands), '_forewarn': zsh(commands),
             'man/forewarn.conf.5': configuration_page(os.path.join(ROOT, 'packaging', 'forewarn.conf')),
             'forewarn.fish': fish(commands)}
    files.update({f'man/forewarn-{c.name}.1': command_page(c) for c in commands})
    os.makedirs(os.path.join(out, 'man'), exist_ok=True)
    for name, text in files.items():
        with open(os.path.join(out, name), 'w', encoding='utf-8') as file:
            file.write(text)


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
