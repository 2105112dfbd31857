// SPDX-License-Identifier: MIT
#include "laws/make_subject.hpp"

template void prefer::test::add_subjects<2>(std::vector<law_subject>&);
