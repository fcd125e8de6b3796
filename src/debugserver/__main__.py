"""`python -m debugserver`."""

import sys

from debugserver.cli import main

sys.exit(main())
