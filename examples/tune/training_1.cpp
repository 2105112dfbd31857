// SPDX-License-Identifier: MIT
#include "training_of.hpp"

namespace tune {

template <>
std::unique_ptr<training> make_in_unit<1>(chosen_loss const& chosen, training_parts const& parts) {
  return find_in_unit<1>(chosen, parts);
}

}  // namespace tune
