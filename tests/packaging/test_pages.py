"""Manual pages and completions say what --help says: every command and option is in its page and completed, and each
format's own checker is content."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

FOREWARN = os.path.abspath(sys.argv[1])


def say(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def options_of(command):
    return set(re.findall(r'(?<![\w-])--[a-z][a-z-]*', say(FOREWARN, command, '--help')))


def plain(roff):
    return roff.replace('\\-', '-')


def completed(out, line):
    """What bash offers behind the line."""
    words = line.split(' ')
    script = ('source "$1/forewarn.bash"; shift; COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); compopt() { :; }; _forewarn; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return set(say('bash', '-c', script, 'bash', out, *words).split())


with tempfile.TemporaryDirectory() as out:
    say(sys.executable, '-B', 'tools/pages.py', FOREWARN, out)
    commands = re.findall(r'^  ([a-z][a-z-]*)  ', say(FOREWARN, '--help'), re.M)
    assert len(commands) > 10
    assert completed(out, 'forewarn ') == {*commands, '--help', '--version'}
    assert completed(out, 'forewarn serve --risk ') == {'forewarn', 'argus'}
    assert 'backup' in completed(out, 'forewarn store ')
    texts = {name: open(os.path.join(out, name), encoding='utf-8').read() for name in ('_forewarn', 'forewarn.fish')}
    main = plain(open(os.path.join(out, 'man', 'forewarn.1'), encoding='utf-8').read())
    for command in commands:
        page = plain(open(os.path.join(out, 'man', f'forewarn-{command}.1'), encoding='utf-8').read())
        assert f'.B {command}\n' in main, command
        if command == 'version':
            continue
        for option in options_of(command):
            assert option in page, (command, option)
        assert options_of(command) <= completed(out, f'forewarn {command} --'), command
        for option in options_of(command):
            assert f'{option}[' in texts['_forewarn'], (command, option)
            assert f'_from {command}\' -l {option[2:]}' in texts['forewarn.fish'], (command, option)
    page = plain(open(os.path.join(out, 'man', 'forewarn.conf.5'), encoding='utf-8').read())
    for key in re.findall(r'^#?([a-z_]+) =', open('packaging/forewarn.conf', encoding='utf-8').read(), re.M):
        assert f'"{key} =' in page, key

    say('bash', '-n', os.path.join(out, 'forewarn.bash'))
    for tool, *arguments in (('zsh', '-n', '_forewarn'), ('fish', '-n', 'forewarn.fish')):
        if shutil.which(tool):
            say(tool, *arguments, cwd=out)
    if shutil.which('mandoc'):
        for name in sorted(os.listdir(os.path.join(out, 'man'))):
            say('mandoc', '-T', 'lint', '-W', 'warning', os.path.join(out, 'man', name))
print('every command and option is in its page and completed')
