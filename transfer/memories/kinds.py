"""`MEMORIES`: every memory of the field by name."""

from __future__ import annotations

from collections.abc import Mapping

from transfer.memories.episodes.long_context import LONG_CONTEXT
from transfer.memories.episodes.rag import RAG
from transfer.memories.lessons import MemoryKind
from transfer.memories.notes.a_mem import A_MEM
from transfer.memories.notes.g_memory import G_MEMORY
from transfer.memories.routines.awm import AWM
from transfer.memories.routines.library import LIBRARY
from transfer.memories.routines.mem_rl import MEM_RL
from transfer.memories.routines.memp import MEMP
from transfer.memories.routines.skill_opt.learner import SKILL_OPT
from transfer.memories.rules.ace import PLAYBOOK
from transfer.memories.rules.cheatsheet import CHEATSHEET
from transfer.memories.rules.expel import EXPEL
from transfer.memories.rules.reasoning_bank import REASONING_BANK
from transfer.memories.rules.reflexion import REFLEXION

MEMORIES: Mapping[str, MemoryKind] = {
    kind.value.label: kind
    for kind in (
        LONG_CONTEXT,
        RAG,
        A_MEM,
        G_MEMORY,
        AWM,
        LIBRARY,
        MEM_RL,
        MEMP,
        PLAYBOOK,
        CHEATSHEET,
        EXPEL,
        REASONING_BANK,
        REFLEXION,
        SKILL_OPT,
    )
}
