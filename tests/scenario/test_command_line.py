"""What is wrong with a command line or a configuration is named: the option, the setting, the file and its place."""
import os
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False)


def refused(says, *arguments):
    done = run(*arguments)
    assert done.returncode != 0 and 'fine' not in done.stdout, (arguments, done)
    assert done.stderr.startswith(f'forewarn {arguments[0]}: ') and says in done.stderr, (arguments, done)


def options():
    for command in ('serve', 'demo', 'agent', 'simulate', 'forecast', 'evaluate', 'backtest', 'store', 'bench', 'alerts', 'silence',
                    'check', 'status', 'import'):
        refused('no option --frobnicate', command, '--frobnicate')
        refused('no option -x', command, '-x')
        assert run(command, '--help').returncode == 0, command
    for command, option in (('serve', '--data'), ('demo', '--listen'), ('agent', '--url'), ('simulate', '--days'), ('forecast', '--model'),
                            ('evaluate', '--model'), ('backtest', '--config'), ('store', '--to'), ('bench', '--url'), ('alerts', '--url'),
                            ('silence', '--server'), ('check', '--server'), ('status', '--url'), ('import', '--from')):
        refused(f'{option} needs a value', command, option)
    refused('--json=yes has a value and takes none', 'store', '--json=yes')
    refused('/nonexistent/model: directory /nonexistent: no such file', 'model', 'check', '/nonexistent/model')
    refused('--warning 2: not a value in its range', 'check', '--server', 'x', '--warning', '2')
    refused('--warning=2: not a value in its range', 'check', '--server', 'x', '--warning=2')


def configuration(directory):
    def check(text, says):
        path = os.path.join(directory, 'forewarn.conf')
        with open(path, 'w', encoding='utf-8') as out:
            out.write(text)
        if says is None:
            done = run('check-config', path)
            assert done.returncode == 0 and done.stdout == 'configuration is fine\n', done
        else:
            refused(says, 'check-config', path)

    keys = os.path.join(directory, 'keys')
    check(f'[server]\napi_key_file = {keys}\n', f'server.api_key_file: open {keys}: No such file or directory')
    with open(keys, 'w', encoding='utf-8') as out:
        out.write('ops:admin:a-secret\n')
    os.chmod(keys, 0o644)
    check(f'[server]\napi_key_file = {keys}\n', 'chmod 600')
    os.chmod(keys, 0o600)
    check(f'[server]\napi_key_file = {keys}\n', None)
    if os.geteuid() == 0:  # it is the daemon's user who will read it
        os.chown(keys, 12345, 12345)
        check(f'[server]\napi_key_file = {keys}\n', None)
    for model in ('none', 'shipped'):
        check(f'[forecast]\nmodel = {model}\n', None)
    missing = os.path.join(directory, 'no-model')
    check(f'[forecast]\nmodel = {missing}\n', f'forecast.model: {missing}: No such file or directory')
    refused(f'forecast.model: {missing}: ', 'serve', '--model', missing, '--listen', '127.0.0.1:0', '--data', os.path.join(directory, 'data'))
    refused(f'configuration {directory}: Is a directory', 'check-config', directory)


options()
with tempfile.TemporaryDirectory(prefix='forewarn-command-line-') as place:
    configuration(place)
print('every refusal names what it refuses')
