// SPDX-License-Identifier: MIT
#include "training.hpp"

#include <utility>

#include <prefer/expects.hpp>

#include "training_of.hpp"

// What goes over every number of a model, and no loss changes.
template class prefer::adamw<float>;
template void prefer::zero_gradients<float>(std::span<prefer::parameter<float> const>,
                                            prefer::executor const&);
template double prefer::gradient_norm<std::vector<prefer::parameter<float>>>(
    std::vector<prefer::parameter<float>> const&, prefer::gradient_norm_memory&,
    prefer::executor const&);

namespace tune {

namespace {

/// Of losses over demonstrations, which are few enough to stand here.
std::unique_ptr<training> make_demonstration(chosen_loss const& chosen,
                                             training_parts const& parts) {
  std::unique_ptr<training> out;
  prefer::for_each_loss([&]<prefer::Loss L>(L const&, prefer::loss_info const&) {
    if constexpr (has_demonstrations<L>) {
      using demonstration = typename demonstration_of<L>::type;
      if (chosen.facts.name != L::name) return;
      out = make_training_of(demonstration{}, chosen, parts);
    }
  });
  return out;
}

bool is_demonstration(std::string const& name) {
  bool found = false;
  prefer::for_each_loss([&]<prefer::Loss L>(L const&, prefer::loss_info const&) {
    found = found || (has_demonstrations<L> && name == L::name);
  });
  return found;
}

}  // namespace

chosen_loss choose_loss(std::string const& name, std::vector<setting> settings) {
  if (name.find(':') != std::string::npos) {
    prefer::refuse("--loss " + name + ": expected a name alone; hyper-parameters are set by --set");
  }
  chosen_loss out{.facts = facts_of(name, settings), .settings = std::move(settings)};
  if (out.facts.own_samples) {
    prefer::refuse(
        "--loss " + name +
        ": it learns from advantages of what the policy itself has just written, and this "
        "program makes pairs, lists and demonstrations; see docs/guides/online.md");
  }
  if (out.facts.needs.contains(prefer::column_name::value_estimate)) {
    prefer::refuse("--loss " + name +
                   ": it reads value_estimate, and the models here have no value head");
  }
  out.demonstrates = is_demonstration(out.facts.name);
  return out;
}

std::unique_ptr<training> make_training(chosen_loss const& loss, training_parts const& parts) {
  if (loss.demonstrates) return make_demonstration(loss, parts);
  for (auto const make : {&make_in_unit<0>, &make_in_unit<1>, &make_in_unit<2>, &make_in_unit<3>}) {
    if (auto out = make(loss, parts)) return out;
  }
  prefer::refuse("--loss " + loss.facts.name + ": it cannot be trained here");
}

}  // namespace tune
