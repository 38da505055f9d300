"""Ten kill -9 cycles with four writers: nothing acknowledged is lost. bench/crash_loop.py runs 200."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'bench'))
import crash_loop  # noqa: E402

figures = crash_loop.run(sys.argv[1], cycles=10)
print(json.dumps(figures))
sys.exit(0 if not figures['failures'] and figures['acknowledged_samples'] > 500 else 1)
