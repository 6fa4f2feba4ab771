"""``python -m metrics_store.cli``."""

import sys

from metrics_store.cli import main

sys.exit(main())
