// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <prefer/data/audit.hpp>
#include <prefer/data/reading.hpp>

namespace audit {

/// A file, and what its rows are called.
struct source {
  std::string split;
  std::string path;
};

/// "NAME=FILE", or a file that goes by its name without folder and ending. Errors  precondition_error for a name given
/// twice
[[nodiscard]] std::vector<source> sources_of(std::vector<std::string> const& given);

/// How long texts are: in characters, or in the tokens of a model.
class lengths;
/// Errors  backend_error for a model whose tokenizer cannot be read; precondition_error in a build without language models
[[nodiscard]] std::shared_ptr<lengths const> lengths_in_tokens_of(std::string const& model);
[[nodiscard]] std::shared_ptr<lengths const> lengths_in_characters();
[[nodiscard]] std::string unit_of(lengths const& how);

/// What a row is.
enum class row_kind { pair, label, list };

struct reading_choice {
  prefer::data::reading how;
  row_kind rows = row_kind::pair;
  std::string annotator;  // the field that says who judged, if any
  std::shared_ptr<lengths const> measure;
};

/// Adds the rows of a file to the audit. Errors  backend_error, also where no row has the field of the annotator
[[nodiscard]] prefer::data::reading_report read(source const& from, reading_choice const& choice,
                                                prefer::data::audit& all);

}  // namespace audit
