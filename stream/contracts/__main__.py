"""``python -m stream.contracts FOLDER`` writes the contracts."""

import sys
from pathlib import Path

from stream.contracts.files import write_contracts

write_contracts(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/contracts"))
