// SPDX-License-Identifier: MIT
#include <stdexcept>

#include "laws/make_wrapper.hpp"

namespace prefer::test {

namespace {

/// No wrapper at all.
struct bare {
  template <class L>
  static L of(L const& loss) {
    return loss;
  }
};

}  // namespace

outcome bare_outcome(std::string const& loss) {
  outcome (*found)() = nullptr;
  for_each_loss([&]<Loss L>(L const&, loss_info const&) {
    if (L::name == loss) found = &outcome_in<bare, L>;
  });
  if (found == nullptr) throw std::logic_error("no loss is named " + loss);
  return found();
}

}  // namespace prefer::test
