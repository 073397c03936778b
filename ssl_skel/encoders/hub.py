"""Encoders on the Hugging Face Hub, by its conventions: ``config.json``, ``model.safetensors`` and ``README.md``.

Needs the extra ``hub``. ``config.json`` is the encoder's card; nothing is unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import safetensors.torch

from ssl_skel.config import read_card
from ssl_skel.encoders.card import FORMAT_VERSION, EncoderCard, find_encoder
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.files import encoder_of, load_encoder, save_encoder
from ssl_skel.encoders.model_card import README, model_card
from ssl_skel.errors import UserError
from ssl_skel.files.atomic import write_bytes, write_json

try:
    from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
    from huggingface_hub.constants import CONFIG_NAME, SAFETENSORS_SINGLE_FILE
except ImportError as error:
    raise UserError('the Hub needs huggingface_hub; install it with pip install "ssl-skel[hub]"') from error


class PretrainedEncoder(ModelHubMixin):
    """An encoder with its card, to share.

    ::

        PretrainedEncoder.of("runs/mine").save_pretrained("mine", model_card_kwargs={"licence": "cc-by-4.0"})
        PretrainedEncoder.of("runs/mine").push_to_hub("user/mine")
        PretrainedEncoder.from_pretrained("user/mine").save("encoders/mine")  # then as any run: ssl-skel embed ...

    Args:
        encoder: the network.
        card: its own.
        readme: the model card, Markdown that begins with the Hub's metadata; "" makes one of the card.
    """

    def __init__(self, encoder: SkeletonEncoder, card: EncoderCard, readme: str = "") -> None:
        self.encoder, self.card, self.readme = encoder, card, readme

    @classmethod
    def of(cls, run: Path | str) -> Self:
        """The encoder of a run directory, a folder with an encoder, or ``box/NAME``.

        Raises:
            UserError: no encoder there, or a damaged one.
        """
        readme = find_encoder(Path(run)) / README
        return cls(*load_encoder(run), readme.read_text("utf-8") if readme.is_file() else "")

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:
        """The encoder of a repository on the Hub, or of a folder that ``save_pretrained`` made.

        Args:
            pretrained_model_name_or_path: such as ``user/mine``, or the folder.
            options: of ``huggingface_hub.ModelHubMixin.from_pretrained``: revision, token, cache_dir and the like.

        Raises:
            UserError: nothing is there, it cannot be fetched, is damaged, or holds no encoder of this package.
        """
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **options)
        except (OSError, ValueError, RecursionError) as error:
            reason = str(error).strip().splitlines()[:1]
            raise UserError(f"{pretrained_model_name_or_path}: cannot be read: {''.join(reason)}") from error

    def save(self, folder: Path | str) -> None:
        """Write the encoder as a run has it, for all commands.

        Raises:
            UserError: the system refuses to write.
        """
        save_encoder(Path(folder), self.encoder, self.card)

    def generate_model_card(self, **options: Any) -> ModelCard:
        """The text of ``README.md``; ``options`` are those of ``ssl_skel.encoders.model_card.model_card``."""
        return ModelCard(self.readme or model_card(self.card, self.encoder, **options))

    def _save_pretrained(self, save_directory: Path) -> None:
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.encoder.state_dict().items()}
        write_bytes(save_directory / SAFETENSORS_SINGLE_FILE, safetensors.torch.save(weights, {"format": "pt"}))
        write_json(save_directory / CONFIG_NAME, self.card.model_dump(mode="json"))

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> Self:
        def fetched(name: str) -> Path:
            local = Path(model_id)
            return local / name if local.is_dir() else Path(hf_hub_download(repo_id=model_id, filename=name, **options))

        file = fetched(CONFIG_NAME)
        again = "save or fetch it again"
        card = read_card(EncoderCard, file, FORMAT_VERSION, missing=again, remedy=again)
        encoder = encoder_of(card, str(file), fetched(SAFETENSORS_SINGLE_FILE), again)
        readme = Path(model_id) / README
        return cls(encoder, card, readme.read_text("utf-8") if readme.is_file() else "")
