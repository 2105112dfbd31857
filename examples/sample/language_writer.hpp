// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "../language/model_options.hpp"
#include "writer.hpp"

namespace sample {

/// A language model from its files.
///
/// Errors  backend_error for what cannot be read, is of no known family, or is an adapter of another model
[[nodiscard]] std::unique_ptr<writer> open_writer(language::model_options const& given);

}  // namespace sample
