"""The engines that `baleen bench` measures, behind one face: ours, transformers, llama.cpp."""
