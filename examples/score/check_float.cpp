// SPDX-License-Identifier: MIT
#include "check_model.hpp"

namespace score {

template check_outcome check_files<float>(language::model_options const&,
                                          std::vector<std::string> const&);

}  // namespace score
