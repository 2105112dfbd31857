// expect compiles
// flags: -m32 -msse2 -mfpmath=sse
// SPDX-License-Identifier: MIT
#include <prefer/target.hpp>
