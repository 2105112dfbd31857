// SPDX-License-Identifier: MIT
#pragma once

// What every header is written in. A header that includes no other of ours includes this one, before anything that an
// earlier dialect lacks, so that the wrong dialect is the first error and one sentence.
#if __cplusplus < 202002L
#error "prefer: the library is C++20: compile with -std=c++20 or later"
#endif
