"""The core: arithmetic on arrays. No paths, no printing, no terminal.

A noise gate is *level → mask → gain → samples*, and each step is a module: `detector`, `mask`,
`envelope`, `broadband`. A threshold needs `levels` and no more. The automatic gate has two passes:
`analysis` learns and decides, the gate scores what it hears: `bands` → `extractor` → `likelihood`,
`learner`. Every step is an object fed with blocks through `process(…, last=False)`
that remembers the little it must; what comes out is the same, number for number, however the
input is cut into blocks.
"""
