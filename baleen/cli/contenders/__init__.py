"""The engines that `baleen bench` measures, each in a process of its own: ours, transformers, llama.cpp."""
