"""The equations of each paper as plain loops and einsum, without any import from mnmf, to compare fast code with."""
