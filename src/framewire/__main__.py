"""`python -m framewire`: the command line by another name."""

import sys

from framewire.cli import main

sys.exit(main())
