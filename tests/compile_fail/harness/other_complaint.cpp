// expect: a sentence that no compiler says
// SPDX-License-Identifier: MIT
static_assert(false, "another sentence");
