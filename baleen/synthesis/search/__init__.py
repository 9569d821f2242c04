"""Search tasks: questions over a corpus whose answer is one entity, told by walks over what is known of it."""

from baleen.synthesis.search import debian, documents, wordnet
from baleen.synthesis.search.judge import Judge, Models, Seedling
from baleen.synthesis.search.walker import Walker

__all__ = ["Judge", "Models", "Seedling", "Walker", "debian", "documents", "wordnet"]
