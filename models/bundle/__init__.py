"""The bundle: what a run publishes. Re-exports the format; see also `verify` and `generator`."""

from models.bundle.format import (
    CARD as CARD,
)
from models.bundle.format import (
    CRITIC as CRITIC,
)
from models.bundle.format import (
    ENLARGER as ENLARGER,
)
from models.bundle.format import (
    FILES as FILES,
)
from models.bundle.format import (
    GRAPH_SUFFIX as GRAPH_SUFFIX,
)
from models.bundle.format import (
    GROWTH as GROWTH,
)
from models.bundle.format import (
    LARGEST_FILE as LARGEST_FILE,
)
from models.bundle.format import (
    MAPPING as MAPPING,
)
from models.bundle.format import (
    NEAREST as NEAREST,
)
from models.bundle.format import (
    REQUIRED_FILES as REQUIRED_FILES,
)
from models.bundle.format import (
    SAMPLES as SAMPLES,
)
from models.bundle.format import (
    SYNTHESIS as SYNTHESIS,
)
from models.bundle.format import (
    TRAITS as TRAITS,
)
from models.bundle.format import (
    WEIGHTS as WEIGHTS,
)
from models.bundle.format import (
    WEIGHTS_SUFFIX as WEIGHTS_SUFFIX,
)
from models.bundle.format import (
    Card as Card,
)
from models.bundle.format import (
    DatasetCredit as DatasetCredit,
)
from models.bundle.format import (
    Distilled as Distilled,
)
from models.bundle.format import (
    Enlargement as Enlargement,
)
from models.bundle.format import (
    Evaluation as Evaluation,
)
from models.bundle.format import (
    Network as Network,
)
from models.bundle.format import (
    Training as Training,
)
from models.bundle.format import (
    card_for as card_for,
)
from models.bundle.format import (
    check_digest as check_digest,
)
from models.bundle.format import (
    digest as digest,
)
from models.bundle.format import (
    digest_of as digest_of,
)
from models.bundle.format import (
    file_digests as file_digests,
)
from models.bundle.format import (
    is_whole as is_whole,
)
from models.bundle.format import (
    read_card as read_card,
)
