# The public names. lazy_loader reads them here at run time, type checkers as any stub.
from .backbones import BACKBONES as BACKBONES
from .data.convert import convert as convert
from .data.readers import READERS as READERS
from .data.store import Store as Store
from .embedding.embedder import Embedder as Embedder
from .embedding.sklearn import SkeletonEmbedder as SkeletonEmbedder
from .encoders.files import load_encoder as load_encoder
from .encoders.hub import PretrainedEncoder as PretrainedEncoder
from .errors import UserError as UserError
from .layouts import LAYOUTS as LAYOUTS
from .layouts import SkeletonLayout as SkeletonLayout
from .pretexts import PRETEXTS as PRETEXTS
from .retrieval.build import build_index as build_index
from .retrieval.index import MotionIndex as MotionIndex
from .retrieval.search import search as search
from .verbs import finetune as finetune
from .verbs import predict as predict
from .verbs import pretrain as pretrain
from .verbs import train_classifier as train_classifier

__version__: str
