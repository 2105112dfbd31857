// expect: ::ipo
// SPDX-License-Identifier: MIT
// TRL accepts label_smoothing for every loss and ignores it in this one. Both compilers say that the type, which no line
// below spells like this, has no such member.
#include <prefer/loss/ipo.hpp>

namespace prefer {
ipo const loss{.beta = 0.1, .label_smoothing = 0.1};
}
