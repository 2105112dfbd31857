// SPDX-License-Identifier: MIT
#include <cstddef>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/policy/parameter.hpp>
#include <prefer/train/trained_numbers.hpp>

namespace {

using namespace prefer;

// 3 numbers, 2 that are frozen, none, 4.
struct four_tensors {
  std::vector<float> a{1, 2, 3}, frozen{-1, -1}, none, b{4, 5, 6, 7};
  std::vector<parameter<float>> list{{.name = "a", .value = a, .gradient = a},
                                     {.name = "f", .value = frozen, .gradient = {}, .frozen = true},
                                     {.name = "n", .value = none, .gradient = none},
                                     {.name = "b", .value = b, .gradient = b}};
};

}  // namespace

TEST_CASE("trained_numbers: tensors end to end, without what is frozen", "[train][processes]") {
  four_tensors const tensors;
  trained_numbers<float> const numbers(std::span<parameter<float> const>(tensors.list));
  CHECK(numbers.size() == 7);
  CHECK((numbers.begin_of(0) == 0 && numbers.end_of(0) == 3));
  CHECK(numbers.begin_of(1) == numbers.end_of(1));
  CHECK((numbers.begin_of(3) == 3 && numbers.end_of(3) == 7));
  CHECK(trained_numbers<float>(std::span<parameter<float> const>()).size() == 0);
}

TEST_CASE("trained_numbers: every part is read and written as a part of one vector",
          "[train][processes]") {
  four_tensors tensors;
  trained_numbers<float> const numbers(std::span<parameter<float> const>(tensors.list));
  std::vector<float> const whole{1, 2, 3, 4, 5, 6, 7};
  for (std::size_t begin = 0; begin <= 7; ++begin) {
    for (std::size_t end = begin; end <= 7; ++end) {
      CAPTURE(begin, end);
      std::vector<float> part(end - begin);
      numbers.read(&parameter<float>::value, begin, part);
      CHECK(part == std::vector<float>(whole.begin() + static_cast<std::ptrdiff_t>(begin),
                                       whole.begin() + static_cast<std::ptrdiff_t>(end)));
      four_tensors to;
      trained_numbers<float> const written(std::span<parameter<float> const>(to.list));
      written.write(&parameter<float>::gradient, begin, std::vector<float>(end - begin, 9.0F));
      for (std::size_t i = 0; i != 7; ++i) {
        CHECK((i < 3 ? to.a[i] : to.b[i - 3]) == (i >= begin && i < end ? 9.0F : whole[i]));
      }
      CHECK(to.frozen == std::vector<float>{-1, -1});
    }
  }
}
