"""`python -m oneshot`."""

import sys

from oneshot.cli.main import main

sys.exit(main())
