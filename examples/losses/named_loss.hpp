// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <prefer/prefer.hpp>

#include "loss_facts.hpp"

/// A loss whose type was chosen by its name at run time.
struct named_loss : loss_facts {
  // The one of these that fits `kind` is set.
  std::function<prefer::pair_evaluation(prefer::pair_columns const&, prefer::evaluate_options)>
      pairs;
  std::function<prefer::evaluation(prefer::unpaired_columns const&, prefer::evaluate_options)>
      unpaired;
  std::function<prefer::evaluation(prefer::list_columns const&, prefer::evaluate_options)> lists;
};

/// What a loss that remembers starts from, each time that it is evaluated.
enum class remembering {
  nothing,        // each batch is the first
  batches_so_far  // of this named_loss and its copies since they were copied
};

/// The losses of `--loss NAME[:parameter=value,...]`, each with `shared` settings for the parameters it has.
///
/// Errors  precondition_error for an unknown loss or parameter or a value out of range, and for a shared
///         setting that no loss takes
std::vector<named_loss> make_losses(std::vector<std::string> const& written,
                                    std::vector<setting> const& shared,
                                    remembering memory = remembering::nothing);
