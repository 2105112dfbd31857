// SPDX-License-Identifier: MIT
#include <algorithm>

#include "laws/subject.hpp"

namespace prefer::test {

extern template void add_subjects<0>(std::vector<law_subject>&);
extern template void add_subjects<1>(std::vector<law_subject>&);
extern template void add_subjects<2>(std::vector<law_subject>&);
extern template void add_subjects<3>(std::vector<law_subject>&);

std::vector<law_subject> const& subjects() {
  static std::vector<law_subject> const all = [] {
    std::vector<law_subject> out;
    add_subjects<0>(out);
    add_subjects<1>(out);
    add_subjects<2>(out);
    add_subjects<3>(out);
    std::sort(out.begin(), out.end(),
              [](law_subject const& a, law_subject const& b) { return a.name < b.name; });
    return out;
  }();
  return all;
}

}  // namespace prefer::test
