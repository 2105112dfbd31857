// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <list>
#include <vector>

#include <prefer/loss/catalogue.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/objective/matched.hpp>

#include "device/emulation.hpp"
// Behind the words that it needs.
#include "device/kernels.cuh"
#include "laws/problem.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using namespace prefer::test::device;

constexpr std::size_t examples = 37;  // of a batch; in blocks of 16, so that the last is not full

/// Columns as a device holds them: floats behind a pointer, which live as long as this.
class device_columns {
 public:
  [[nodiscard]] float const* operator()(prefer::column const& from) {
    if (!from.present()) return nullptr;
    room_.emplace_back(from.size());
    for (std::size_t i = 0; i < from.size(); ++i) room_.back()[i] = static_cast<float>(from[i]);
    return room_.back().data();
  }
  [[nodiscard]] sides operator()(prefer::completions const& from) {
    return {{(*this)(from.chosen), (*this)(from.rejected)}};
  }
  [[nodiscard]] float* results(std::size_t count) {
    room_.emplace_back(count, -1.0f);
    return room_.back().data();
  }

 private:
  std::list<std::vector<float>> room_;
};

pair_inputs inputs_of(prefer::pair_columns const& b, device_columns& on) {
  return {.policy = on(b.policy),
          .reference = on(b.reference),
          .length = on(b.length),
          .score = on(b.score),
          .divergence = on(b.divergence),
          .alignment = on(b.alignment),
          .perturbed_toward = on(b.perturbed_toward),
          .perturbed_away = on(b.perturbed_away),
          .beta = on(b.beta),
          .target_margin = on(b.target_margin),
          .chosen_from_reference = on(b.chosen_from_reference),
          .uniform = on(b.uniform)};
}

/// What a kernel has written: the values, then each row of coefficients.
void compare(outputs const& got, std::vector<float> const& value,
             std::vector<std::vector<float> const*> const& coefficients) {
  // float's functions on both sides, a few units in the last place of each step; the steps' terms are some hundred nats.
  auto const same = [](float a, float b) { return near(a, b, 500 * 0x1p-23, 1.0); };
  bool good = true;
  for (std::size_t i = 0; i < value.size(); ++i) good = good && same(got.value[i], value[i]);
  CHECK(good);
  for (std::size_t k = 0; k < coefficients.size(); ++k) {
    CAPTURE(k);
    good = true;
    for (std::size_t i = 0; i < coefficients[k]->size(); ++i) {
      good = good && same(got.coefficient[k][i], (*coefficients[k])[i]);
    }
    CHECK(good);
  }
}

template <prefer::Loss L>
void run(L const& loss) {
  constexpr std::size_t arity = L::arity;
  constexpr bool diverges = prefer::needs<L>.contains(prefer::column_name::divergence);
  problem<float> p({.arity = arity, .list_size = prefer::list_size_of<L>(), .divergence = diverges},
                   examples);
  auto const batch = p.template columns<arity>();
  prefer::loss_memory<L> memory{};
  auto const state = prepare(loss, batch, memory);
  prefer::evaluate_options const each{.reduce = prefer::reduction::none};
  unsigned const blocks = (examples + 15) / 16;

  device_columns on;
  outputs out{.value = on.results(examples)};
  for (float*& row : out.coefficient) row = on.results(p.offset.back());
  auto& first = p.side[0];
  auto& second = p.side[1];
  if constexpr (arity == 1) {
    unpaired_inputs const in{.policy = on(batch.policy),
                             .reference = on(batch.reference),
                             .label = on(batch.label),
                             .length = on(batch.length),
                             .score = on(batch.score)};
    launch(blocks, 16, &unpaired_kernel<L>, loss, state, in, out, examples);
    (void)evaluate_into(loss, batch, p.template results<arity>(), state, each);
    compare(out, p.value, {&first.coefficient});
  } else if constexpr (arity == prefer::dynamic_arity) {
    list_inputs const in{.policy = on(batch.policy),
                         .reference = on(batch.reference),
                         .length = on(batch.length),
                         .score = on(batch.score),
                         .offset = p.offset.data()};
    launch(blocks, 16, &list_kernel<L>, loss, state, in, out, examples);
    (void)evaluate_into(loss, batch, p.template results<arity>(), state, each);
    compare(out, p.value, {&first.coefficient});
  } else if constexpr (prefer::detail::matches_rows<L>) {
    // The rows go to a device as the loss puts them together, and the results are compared there.
    prefer::detail::matched_rows<> const matched(batch, prefer::detail::order_of(loss, batch));
    launch(blocks, 16, &pair_kernel<L>, loss, state, inputs_of(matched.columns(), on), out,
           examples);
    auto const formula = prefer::pair_loss([loss](auto const& pair) { return loss(pair); });
    (void)evaluate_into(formula, matched.columns(), p.template results<2>(), {}, each);
    compare(out, p.value, {&first.coefficient, &second.coefficient});
  } else {
    launch(blocks, 16, &pair_kernel<L>, loss, state, inputs_of(batch, on), out, examples);
    (void)evaluate_into(loss, batch, p.template results<arity>(), state, each);
    compare(out, p.value, {&first.coefficient, &second.coefficient});
    if constexpr (diverges) {
      outputs const of_divergence{.value = out.value,
                                  .coefficient = {out.coefficient[2], out.coefficient[3]}};
      compare(of_divergence, p.value,
              {&first.divergence_coefficient, &second.divergence_coefficient});
    }
  }
}

TEST_CASE("device: the kernels compute what evaluate does, for every loss", "[device][loss]") {
  std::size_t losses = 0;
  prefer::for_each_loss([&]<prefer::Loss L>(L loss, auto const&) {
    INFO("loss " << L::name);
    ++losses;
    // 5000 is for squared noise: margins of 100 nats leave nothing of the logistic function there.
    if constexpr (std::is_same_v<L, prefer::diffusion_dpo>) loss.beta = 0.1;
    run(loss);
  });
  CHECK(losses > 60);
}

}  // namespace
