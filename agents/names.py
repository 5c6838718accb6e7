"""Names that are known without torch."""

TINY, PLANNED = "tiny", "tiny-planned"
SHIPPED = (TINY, PLANNED)
"""Models shipped per scenario: the second goes on from the first, and plans."""
SAMPLERS = HF, VLLM = "hf", "vllm"
"""What samples: the model itself, or vLLM's engine with its weights."""
MEMORY = "memory"
"""The method that fills a memory, as ``td-gym train`` calls it."""
OF_LEARNING = (
    "preset",
    "budgets",
    "seat",
    "opponent",
    "lr",
    "betas",
    "average",
    "max_grad_norm",
    "minibatches",
    "micro_tokens",
    "checkpoint_every",
    "max_context",
    "lora_rank",
    "dtype",
    "sampler",
    "vllm_memory",
    "gradient_checkpointing",
)
"""Fields of a training configuration that mean nothing to a memory, which refuses and does not record them."""
CASES = "memory.jsonl"
"""What a run directory holds whose agent remembers."""
ADAPTER = "adapter_config.json"
"""What a model directory holds that has an adapter of weights instead of all of them."""
STRATEGY = "strategy.json"
"""What a run directory holds whose agent chooses strategies."""
